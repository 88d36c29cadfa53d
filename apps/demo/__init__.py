"""The demo: a synthetic study, four questions, and the answers as a table, pictures and a report."""
