"""E-sign behind one port: a form is sent out once, followed to its end, withdrawn when its order ends (ORD-3)."""
