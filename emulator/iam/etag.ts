/** Policy etags: base64 of opaque bytes, compared as bytes. */

/** Bytes of the etag after the first. Google's are 8 bytes that begin with 7 (`BwXXuH/Zgpc=`). */
const RANDOM_BYTES = 7
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/** A fresh etag. `randomBytes(n)` gives n random bytes. */
export function newEtag(randomBytes: (size: number) => Uint8Array): string {
  return Buffer.from([7, ...randomBytes(RANDOM_BYTES)]).toString('base64')
}

/** gcloud sends an etag back in the URL-safe alphabet, so two spellings of the same bytes are the same etag. */
export function sameEtag(a: string, b: string): boolean {
  const [left, right] = [bytesOf(a), bytesOf(b)]
  return left !== undefined && right !== undefined && left.equals(right)
}

function bytesOf(etag: string): Buffer | undefined {
  return BASE64.test(etag) ? Buffer.from(etag, 'base64') : undefined
}
