import { Biscuit, BlockBuilder, PublicKey, SignatureAlgorithm, block } from "@biscuit-auth/biscuit-wasm";

/** The keys that tokens of this server are signed with. They are public and seldom change: keep them. */
export async function fetchKeys(api: string): Promise<string[]> {
  const answer = await fetch(`${api}/auth/keys`);
  if (!answer.ok) {
    throw new Error(`the server answered ${answer.status}`);
  }
  const body: { data: { public_key: string }[] } = await answer.json();
  return body.data.map((key) => key.public_key);
}

/** The same token with one more block of checks. Needs no network. */
export function narrow(token: string, keys: string[], checks: BlockBuilder): string {
  return read(token, keys).appendBlock(checks).toBase64();
}

function read(token: string, keys: string[]): Biscuit {
  for (const key of keys) {
    try {
      return Biscuit.fromBase64(token, PublicKey.fromString(key, SignatureAlgorithm.Ed25519));
    } catch {
      // Signed with another one.
    }
  }
  throw new Error("none of these keys has signed this token");
}

/** Changes nothing. */
export function readOnly(): BlockBuilder {
  return block`check if access("read")`;
}

/** One kind of record and nothing else, such as `contact`. */
export function oneEntity(entity: string): BlockBuilder {
  return block`check if entity(${entity})`;
}

/** One record, by its id: to look at it, to change it, to delete it. */
export function oneRecord(id: string): BlockBuilder {
  return block`check if resource(${id})`;
}

/** Ends earlier than the token would. */
export function until(end: Date): BlockBuilder {
  return block`check if time($time), $time < ${end}`;
}

/** What a program needs that draws reports: reads companies and deals and moves deals, until the end. */
export function forReports(end: Date): BlockBuilder {
  return block`
    check if access("read") or operation("deal:move");
    check if entity("company") or entity("deal");
    check if time($time), $time < ${end}`;
}
