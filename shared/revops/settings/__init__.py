"""Rules as data: versioned, audited documents, planned and applied from the files in config/."""

from revops.settings.model import SettingsDocument, SettingsRecord
from revops.settings.store import SETTINGS, SettingsReader

__all__ = ["SETTINGS", "SettingsDocument", "SettingsReader", "SettingsRecord"]
