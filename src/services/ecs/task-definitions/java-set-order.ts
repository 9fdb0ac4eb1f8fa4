/**
 * AWS returns requiresAttributes in the order in which a Java HashSet of (name, value) pairs walks its buckets. Recorded answers of AWS agree
 * with this in every place, so clients that compare whole answers find ours equal. Pure.
 */
export function inSetOrder<T extends { readonly name: string; readonly value?: string }>(items: readonly T[]): T[] {
  const buckets = tableSize(items.length);
  return items
    .map((item) => ({ item, bucket: spread(pairHash(item)) & (buckets - 1) }))
    .toSorted((a, b) => a.bucket - b.bucket)
    .map(({ item }) => item);
}

/** `new HashSet(collection)`: room for all at a load of three quarters, 16 at least, a power of two. */
function tableSize(count: number): number {
  const wanted = Math.max(Math.floor(count / 0.75) + 1, 16);
  return 2 ** Math.ceil(Math.log2(wanted));
}

const spread = (hash: number) => hash ^ (hash >>> 16);

const absent = 43;
const prime = 59;

function pairHash({ name, value }: { readonly name: string; readonly value?: string }): number {
  return (Math.imul(prime + stringHash(name), prime) + (value === undefined ? absent : stringHash(value))) | 0;
}

/** java.lang.String.hashCode. */
function stringHash(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  return hash;
}
