"""The trusted third party's service: it combines operators and never sees more than noised vectors."""
