-- Which chunks the documents have that a filter lets pass, told without reading the chunks.
CREATE INDEX chunks_of_document ON chunks (tenant, document) INCLUDE (id);
