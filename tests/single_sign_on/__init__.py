"""Tests of OpenID Connect and SAML, each with a provider that speaks the real protocol."""
