"""After the sale (ORD-9): sales orders, invoices, payments, credits, dunning, renewals, more of the same to sell."""
