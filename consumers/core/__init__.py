"""What the engine is made of, as plain values: no Django, broker, driver or greenlet is known here."""
