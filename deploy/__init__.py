"""How parties start Quorate; run from the checkout, not part of the wheel."""
