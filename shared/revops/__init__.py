"""revops: lead-to-cash domain package. Slices own the rules; adapters and the table own the wires."""
