import type { Ref, ServiceTable } from "#api/schema.ts";

/** What stands where AWS leaves a value out. */
export const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS";

/** Members of any service whose values are secrets, in lower case. */
const secret = new Set(
  `secretstring tokenvalue secretbinary secretaccesskey sessiontoken authorizationtoken password oldpassword newpassword randompassword plaintext
  privatekeyplaintext privatekey passphrase keymaterial encryptedkeymaterial sharedsecret webidentitytoken samlassertion tokencode authenticationcode1
  authenticationcode2 base32stringseed qrcodepng userdata clientsecret environment layerpartblob ciphertextblob message logeventmessages credentials`
    .trim()
    .split(/\s+/),
);

/** Members that are secrets of one operation only, or of one shape. */
const secretOf: Readonly<Record<string, readonly string[]>> = {
  "ssm:PutParameter": ["Value"],
};

const longestText = 8 * 1024;

/**
 * A request's or an answer's members as CloudTrail shows them: names begin with a small letter, secrets and blobs are left out, long texts cut. Keys of maps
 * (tags, labels) stay as they are. Pure.
 */
export function shown(table: ServiceTable, operation: string, ref: Ref, value: unknown): unknown {
  const own = secretOf[`${table.service}:${operation}`] ?? [];
  const walk = (at: Ref, each: unknown): unknown => {
    if (each === undefined || each === null) return each;
    if (each instanceof Date) return Number.isNaN(each.getTime()) ? null : each.toISOString();
    if (ArrayBuffer.isView(each)) return hidden;
    if (typeof each === "string") return each.length > longestText ? `${each.slice(0, longestText)}…` : each;
    if (typeof each !== "object") return each;
    const shape = table.shapes[at];
    if (Array.isArray(each)) return each.map((item) => walk(shape && "l" in shape ? shape.l[0] : "", item));
    const isMap = shape !== undefined && "m" in shape;
    return Object.fromEntries(
      Object.entries(each)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => {
          if (isMap) return [name, walk(shape.m[1][0], member)];
          if (secret.has(name.toLowerCase()) || own.includes(name)) return [lowerFirst(name), hidden];
          return [lowerFirst(name), walk(shape && "s" in shape ? (shape.s[name]?.[0] ?? "") : "", member)];
        }),
    );
  };
  return walk(ref, value);
}

const lowerFirst = (name: string) => name.slice(0, 1).toLowerCase() + name.slice(1);
