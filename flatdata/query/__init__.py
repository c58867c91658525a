"""What is asked for: the query tree, its evaluator and the operator tables. Knows neither disk nor HTTP."""
