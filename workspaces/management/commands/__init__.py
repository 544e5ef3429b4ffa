"""Commands of manage.py about people: API tokens."""
