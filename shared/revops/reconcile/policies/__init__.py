"""Pure rules: in what a subscription differs from its order form, and which account a customer belongs to."""
