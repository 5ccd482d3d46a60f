"""Order forms and the billing provider side by side: what differs, what it costs, how it is put right; and whose the
customers are that the provider had before we came (ORD-4, ORD-7, STR-8)."""
