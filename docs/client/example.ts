// A client whose types are made from the document of the API: what does not fit the document does not compile.
//
//   npm ci
//   npx openapi-typescript http://127.0.0.1:8080/api/v1/openapi.json --output schema.d.ts --empty-objects-unknown
//   npx tsc --project . && node example.js http://127.0.0.1:8080 "$TOKEN"
import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Company = components["schemas"]["Company"];
type Problem = components["schemas"]["Problem"];

/** What the answer holds, or the problem as an error. An answer that no program of ours gave may have no problem in it. */
function right<T>(answer: { data?: T; error?: Problem | undefined; response: Response }): T {
  if (!answer.response.ok) {
    const fields = answer.error?.errors?.map((field) => `${field.pointer} ${field.code}`).join(", ");
    throw new Error(`${answer.response.status}: ${answer.error?.detail ?? ""} ${fields ?? ""}`);
  }
  return answer.data as T;
}

const [address = "http://127.0.0.1:8080", token = ""] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${token}` } });

// A record is made, and its first version remembered.
const made = await api.POST("/api/v1/a-crm/companies", { body: { name: "Typed Shipping", company_size: "small" } });
const company: Company = right(made);
const tag = made.response.headers.get("etag") ?? "";

// A page of those that are like it.
const page = right(
  await api.GET("/api/v1/a-crm/companies", {
    params: { query: { company_size: ["small"], sort: "-created_at", limit: 5, count: true, include: "owner" } },
  }),
);
const names = page.data.map((found) => found.name);

// A change from the version that was seen is taken; a second one from there is not.
const path = { id: company.id };
const header = { "If-Match": tag };
const changed = right(
  await api.PATCH("/api/v1/a-crm/companies/{id}", { params: { path, header }, body: { industry: "Shipping" } }),
);
const late = await api.PATCH("/api/v1/a-crm/companies/{id}", { params: { path, header }, body: { industry: "Trade" } });

// A problem names every bad field at once.
const bad = await api.POST("/api/v1/a-crm/companies", {
  body: { name: "", employee_count: -1, website: "nowhere" },
});

console.log(
  JSON.stringify({
    made: company.id,
    listed: names,
    total: page.page.total?.count,
    owner: page.data[0]?.owner,
    version: changed.version,
    late: late.error?.code,
    lateStatus: late.response.status,
    bad: bad.error?.code,
    fields: bad.error?.errors?.map((field) => field.pointer).sort(),
  }),
);
