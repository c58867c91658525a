"""Who may do what: tokens, rules, privacy."""
