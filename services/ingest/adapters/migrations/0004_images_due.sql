-- Images are taken out of a document when its job has ended; until that is done they are due.

ALTER TABLE jobs ADD COLUMN images_due_time timestamptz;

CREATE INDEX jobs_with_images ON jobs (images_due_time) WHERE images_due_time IS NOT NULL;
