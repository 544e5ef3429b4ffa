"""Who somebody is: passwords, second factors, passkeys, single sign-on. The flows are django-allauth's.

What is ours stands here: our limits and words (`adapters`), roles that a claim gives (`single_sign_on`),
and the routes, each under the access table (`urls`).
"""
