-- What a learned query does, in the words in which it was approved; empty where nobody explained it.
ALTER TABLE training ADD COLUMN explanation text NOT NULL DEFAULT '';
