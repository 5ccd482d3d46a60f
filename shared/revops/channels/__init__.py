"""The channels leads come in by: each reads its own form of a contact and hands a submission to the one intake."""
