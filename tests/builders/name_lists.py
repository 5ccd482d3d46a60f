"""Names to invent people and companies from, by language. Written for the corpus alone: the matcher's tables are not
used here, so that what it does not know is in the corpus too."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """First names with the other forms they go by, surnames, stems and words of companies, legal forms."""

    countries: tuple[str, ...]
    first: dict[str, tuple[str, ...]]
    last: tuple[str, ...]
    trades: tuple[str, ...]
    forms: tuple[str, ...]


def _surnames(*names: str) -> tuple[str, ...]:
    """An underscore stands for a space within a name."""
    return tuple(name.replace("_", " ") for name in names)


def _names(text: str) -> dict[str, tuple[str, ...]]:
    """`Robert/Bob/Rob Mary` → {"Robert": ("Bob", "Rob"), "Mary": ()}."""
    found = {}
    for entry in text.split():
        name, *others = entry.split("/")
        found[name] = tuple(others)
    return found


ENGLISH = Language(
    ("GB", "US", "IE", "AU"),
    _names(
        "Robert/Bob/Rob William/Bill/Will James/Jim Michael/Mike Richard/Rick/Dick Thomas/Tom Edward/Ted/Ed "
        "Elizabeth/Liz/Beth Margaret/Peggy/Maggie Katherine/Kate/Kathy Jennifer/Jen Susan/Sue Patricia/Pat/Trish "
        "Christopher/Chris Matthew/Matt Anthony/Tony Steven/Steve Daniel/Dan Andrew/Andy Benjamin/Ben Samuel/Sam "
        "Emma Olivia Grace Oliver Harry George Charlotte Amelia Lucy Ryan Sean Claire Fiona Neil Graham Joanne "
        "Victoria/Vicky Deborah/Debbie Ronald/Ron Kenneth/Ken Lawrence/Larry Abigail/Abby Philip/Phil Zachary/Zach"
    ),
    tuple(
        "Smith Jones Taylor Brown Wilson Evans Thomas Johnson Roberts Walker Wright Thompson Robinson White Hughes "
        "Edwards Green Hall Wood Harris Lewis Martin Jackson Clarke Clark Turner Hill Cooper Ward Morris Moore "
        "Harrison Morgan Baker Patel Kelly Allen Mitchell Carter Phillips Parker Bennett Shaw Collins Murphy Bailey "
        "O'Neill O'Brien McCarthy MacDonald Fitzgerald Whitfield Ashworth Hargreaves Pemberton Thackeray Winterbourne "
        "Blackwood Ellsworth Holloway Kingsley Lockhart Merriweather Northcott Openshaw Pickering Ravenscroft".split()
    ),
    ("Logistics", "Foods", "Software", "Optics", "Robotics", "Energy", "Textiles", "Consulting", "Media", "Insurance"),
    ("Ltd", "Limited", "Inc.", "LLC", "PLC", "Corp."),
)
GERMAN = Language(
    ("DE", "AT", "CH"),
    _names(
        "Jürgen Günther Jörg Björn Käthe Ömer Matthias Wolfgang/Wolf Johannes/Hannes/Hans Katharina/Kathi/Katja "
        "Elisabeth/Lisa/Elli Friedrich/Fritz Stefan Andreas/Andi Thomas/Tom Michael/Micha Christian/Chris "
        "Christina/Tina Susanne/Susi Sabine Ursula/Uschi Monika/Moni Petra Klaus Uwe Heike Anja Maria Mario Jan Jana "
        "Julia Lena Lukas Maximilian/Max Sebastian/Basti Tobias/Tobi Alexander/Alex Annette Birgit Dieter Gerhard/Gerd"
    ),
    tuple(
        "Müller Schmidt Schneider Fischer Weber Meyer Meier Maier Wagner Becker Schulz Hoffmann Schäfer Koch Bauer "
        "Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner "
        "Krause Lehmann Köhler Herrmann König Walter Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung Hahn "
        "Schubert Vogel Friedrich Günther Keller Winkler Berger Frank Roth Beck Lorenz Baumann Franke Albrecht Ludwig "
        "Strauß Böttcher Brückner Dörfler Gläser Jäger Kästner Löffler Nüßlein Pfäffle Rösch Süßmilch Tränkle".split()
    ),
    ("Werke", "Maschinenbau", "Logistik", "Energie", "Technik", "Systeme", "Handel", "Anlagenbau", "Medizin", "Möbel"),
    ("GmbH", "AG", "GmbH & Co. KG", "KG", "UG", "SE"),
)
RUSSIAN = Language(
    ("BG", "RS", "KZ"),
    _names(
        "Александр/Саша Алексей/Алёша Дмитрий/Дима Сергей/Серёжа Владимир/Вова Михаил/Миша Николай/Коля Юрий/Юра "
        "Ольга/Оля Наталья/Наташа Екатерина/Катя Елена/Лена Юлия/Юля Татьяна/Таня Ирина/Ира Анна/Аня Мария/Маша "
        "Андрей Павел Виктор Григорий/Гриша Евгений/Женя Ксения Людмила/Люда Светлана/Света Пётр Фёдор Яна Жанна Илья"
    ),
    tuple(
        "Иванов Смирнов Кузнецов Попов Соколов Лебедев Козлов Новиков Морозов Петров Волков Соловьёв Васильев Зайцев "
        "Павлов Семёнов Голубев Виноградов Богданов Воробьёв Фёдоров Михайлов Беляев Тарасов Белов Комаров Орлов "
        "Киселёв Макаров Андреев Ковалёв Ильин Гусев Титов Кузьмин Щербаков Жуков Чернов Шевченко Яковлев Цветков "
        "Хохлов Ершов Юдин Рыбаков Быков Чайковский Шубин Жданов Цыганков".split()
    ),
    ("Трейд", "Сервис", "Логистик", "Строй", "Энерго", "Софт", "Медиа"),
    ("EOOD", "OOD", "AD", "d.o.o."),
)
GREEK = Language(
    ("GR", "CY"),
    _names(
        "Γιώργος Δημήτρης/Μίμης Κωνσταντίνος/Κώστας Ιωάννης/Γιάννης Νικόλαος/Νίκος Παναγιώτης/Τάκης Χρήστος Βασίλης "
        "Αθανάσιος/Θανάσης Μιχάλης Ευάγγελος/Βαγγέλης Μαρία Ελένη/Λένα Αικατερίνη/Κατερίνα Βασιλική/Βίκυ Σοφία Άννα "
        "Αγγελική Γεωργία Ειρήνη Ευαγγελία Δέσποινα Παρασκευή/Βούλα Θεοδώρα/Δώρα"
    ),
    tuple(
        "Παπαδόπουλος Παππάς Καραγιάννης Βλάχος Ιωάννου Οικονόμου Παπαγεωργίου Μακρής Κωνσταντινίδης Δημόπουλος "
        "Γεωργίου Αντωνίου Νικολαΐδης Χριστοδούλου Αγγελόπουλος Μπακάλης Ντόκος Τσιτσιπάς Ζαφείρης Θεοδωρίδης "
        "Λαμπρόπουλος Σταματόπουλος Φωτόπουλος Ψαρράς Ξενάκης Ευθυμίου Αυγερινός".split()
    ),
    ("Ναυτιλιακή", "Τρόφιμα", "Ενέργεια", "Τεχνική", "Εμπορική"),
    ("A.E.", "E.P.E.", "SA", "Ltd"),
)
ROMANCE = Language(
    ("ES", "FR", "IT", "PT"),
    _names(
        "José/Pepe Francisco/Paco Guillermo/Memo Ignacio/Nacho Enrique/Quique Jesús/Chucho Rafael/Rafa Antonio/Toni "
        "María Carmen Dolores/Lola Pilar Mercedes/Merche Concepción/Concha Isabel/Isa Giuseppe/Beppe Salvatore/Totò "
        "Giovanni/Gianni Luigi/Gigi Francesca Francesco/Franco Élodie Chloé François Françoise Jérôme Hélène Benoît "
        "Agnès Cédric João Inês Gonçalo Beatriz/Bia Frédéric/Fred Dominique/Dom Véronique/Véro Mario Maria Paolo Paola"
    ),
    _surnames(
        *(
            "García González Rodríguez Fernández López Martínez Sánchez Pérez Gómez Jiménez Ruiz Hernández Díaz Moreno "
            "Muñoz Álvarez Romero Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Serrano Blanco Molina Castro "
            "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci "
            "Marino Greco Conti Lefèvre Moreau Dubois Lefebvre "
            "Gauthier Chevalier Duchêne Béranger Côté Delacroix Guéguen Silva Santos Ferreira Gonçalves Magalhães "
            "Simões de_la_Cruz Del_Río De_Luca Di_Stefano Da_Costa García_López Sánchez_Vicario"
        ).split()
    ),
    ("Alimentos", "Logística", "Energía", "Conseil", "Services", "Tessuti", "Trasporti", "Industria"),
    ("S.L.", "SA", "S.p.A.", "SARL", "SAS", "S.r.l.", "Lda"),
)
EASTERN = Language(
    ("IN", "PL", "SE", "TR"),
    _names(
        "राहुल प्रिया अमित सुनीता विजय Rahul Priya Amit Sunita Vijay Anjali Sanjay Deepak Kavita Manish Pooja "
        "Katarzyna/Kasia Małgorzata/Gosia Agnieszka/Aga Łukasz Paweł Michał Grzegorz/Grzesiek Piotr Joanna/Asia "
        "Åsa Björn Göran Søren Jørgen Märta Håkan Kristian Kristina Ayşe Çağlar Gökhan Şule Emre Özlem Yiğit"
    ),
    tuple(
        "पाटील शर्मा वर्मा Patil Sharma Verma Gupta Singh Kumar Iyer Nair Reddy Banerjee Chatterjee Kowalski Nowak "
        "Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański "
        "Dąbrowski Kozłowski Łukaszewicz Andersson Johansson "
        "Karlsson Nilsson Eriksson Ångström Sjögren Bäckström Sørensen Jørgensen Østergaard Yılmaz Kaya Demir Şahin "
        "Çelik Öztürk Aydın Güneş".split()
    ),
    ("Textiles", "Pharma", "Steel", "Software", "Foods", "Shipping", "Elektro", "Tekstil"),
    ("Pvt Ltd", "Sp. z o.o.", "AB", "A.Ş.", "ApS", "Ltd"),
)


def _numbers(text: str) -> dict[str, str]:
    """`GB+4420########` → country and form of its numbers, a digit for each `#`."""
    return {entry[:2]: entry[2:] for entry in text.split()}


MOBILE = _numbers(
    "GB+447400###### DE+49151######## AT+43664####### CH+4179####### BG+35988####### RS+38163####### "
    "KZ+7701####### GR+30694####### CY+35796###### ES+346######## FR+3361####### IT+39333####### "
    "PT+35191####### IN+9198######## PL+48501###### SE+4670####### TR+90532####### US+121255##### "
    "IE+35386####### AU+61412######"
)
LANDLINE = _numbers(
    "GB+442079###### DE+493090###### AT+4315###### CH+41445###### BG+35929###### RS+38111####### "
    "KZ+77272###### GR+30210####### CY+35722###### ES+3491####### FR+331######## IT+3902######## "
    "PT+35121####### IN+91222####### PL+4822####### SE+468####### TR+90212####### US+164655##### "
    "IE+3531####### AU+6128#######"
)
LANGUAGES = (ENGLISH, ENGLISH, GERMAN, GERMAN, GERMAN, RUSSIAN, GREEK, ROMANCE, ROMANCE, EASTERN)
