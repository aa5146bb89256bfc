"""What `storage/sql_files.py` has put in force."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from storage.tables.columns import metadata

texts_in_force = Table(
    "texts_in_force",
    metadata,
    Column("file", Text, primary_key=True),  # below storage/sql/
    Column("digest", Text, nullable=False),  # SHA-256 of its text
    Column("defines", ARRAY(Text), nullable=False),  # what is dropped once the file defines it no more: kind and name
)
