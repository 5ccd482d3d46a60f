"""The only code that knows a vendor or an AWS service. Each adapter implements a port of a slice."""
