"""The engine's members of a group, several at once, in a world where every fault can be had at any moment."""
