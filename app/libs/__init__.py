"""Definitions that know nothing of ours: error codes, scopes, enums, identifiers."""
