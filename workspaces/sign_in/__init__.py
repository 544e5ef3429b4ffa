"""Authentication: passwords, second factors, passkeys, single sign-on. The flows are django-allauth's.

This package adds our limits and texts (`adapters`), roles from a claim (`single_sign_on`), and the routes,
each with an entry in the access table (`urls`).
"""
