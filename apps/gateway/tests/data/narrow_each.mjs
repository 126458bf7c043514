// Narrows one token in every way of the guide. Reads a question as JSON, writes the tokens as JSON on the last line.
import { fetchKeys, forReports, narrow, oneEntity, oneRecord, readOnly, until } from "./narrow.js";

let text = "";
for await (const part of process.stdin) {
  text += part;
}
const { api, token, company, ended, later } = JSON.parse(text);
const keys = await fetchKeys(api);
const narrowed = {
  reading: narrow(token, keys, readOnly()),
  contacts: narrow(token, keys, oneEntity("contact")),
  one: narrow(token, keys, oneRecord(company)),
  ended: narrow(token, keys, until(new Date(ended))),
  reports: narrow(token, keys, forReports(new Date(later))),
  twice: narrow(narrow(token, keys, readOnly()), keys, oneEntity("contact")),
};
console.log(JSON.stringify(narrowed));
