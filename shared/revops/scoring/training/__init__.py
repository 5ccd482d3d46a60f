"""Training the learned term on the company's own closed leads (LEAD-4).

`fit` alone needs scikit-learn, which stands in a layer of its own; whoever else imports this package does without.
"""
