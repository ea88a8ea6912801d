"""Edit and retry: another value for a failed record, while the one it came with stays.

`session` says who may edit what, `fields` what may be changed, `form` asks for it, `compose` makes the value, `check`
decodes it as the consumer would, `diff` shows what changes, `keep` stores it, `views` puts the pages together.
"""
