"""What is run: recipes, comparisons and their cells, cross-validation, and what papers print."""
