-- Takes the folding of texts away.
DROP FUNCTION app.fold(text);
