"""Nurture: sequences of messages and tasks that follow a lead, and what people do with them."""
