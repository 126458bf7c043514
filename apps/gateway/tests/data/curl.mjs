// What the guide asks of curl, for machines that have none: the options that it uses, and no others.
import { readFileSync, writeFileSync } from "node:fs";

const request = { method: undefined, headers: {}, data: [], asQuery: false, head: undefined, output: undefined, format: "", url: "" };
const encoded = (pair) => pair.replace(/=.*/s, (value) => `=${encodeURIComponent(value.slice(1))}`);
const takes = {
  "-H": (text) => (request.headers[text.split(": ")[0]] = text.split(": ").slice(1).join(": ")),
  "-X": (text) => (request.method = text),
  "-d": (text) => request.data.push(text.startsWith("@") ? readFileSync(text.slice(1), "utf8") : text),
  "-D": (text) => (request.head = text),
  "-o": (text) => (request.output = text),
  "-w": (text) => (request.format = text),
  "--data-urlencode": (text) => request.data.push(encoded(text)),
  // Nothing that the test asks is limited.
  "--retry": () => undefined,
};
const words = process.argv.slice(2);
while (words.length > 0) {
  const word = words.shift();
  if (word in takes) takes[word](words.shift());
  else if (word === "-G") request.asQuery = true;
  else if (!word.startsWith("-")) request.url = word;
  else if (word !== "-sS") throw new Error(`${word} is not known here`);
}
const data = request.data.length > 0 ? request.data.join("&") : undefined;
const answer = await fetch(request.asQuery && data ? `${request.url}?${data}` : request.url, {
  method: request.method ?? (data && !request.asQuery ? "POST" : "GET"),
  headers: request.headers,
  body: request.asQuery ? undefined : data,
});
const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}\r\n`);
if (request.head) writeFileSync(request.head, `HTTP/1.1 ${answer.status} ${answer.statusText}\r\n${headers.join("")}\r\n`);
const body = await answer.text();
if (request.output) writeFileSync(request.output, body);
else process.stdout.write(body);
process.stdout.write(request.format.replace("%{http_code}", answer.status).replace("\\n", "\n"));
