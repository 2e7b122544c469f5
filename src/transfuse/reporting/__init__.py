"""What is shown: records of runs to tables, figures and reports."""
