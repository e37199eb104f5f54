"""The kind `binary`: one program that a compiler made, for each platform (specs/behaviour/binary-kind.md)."""
