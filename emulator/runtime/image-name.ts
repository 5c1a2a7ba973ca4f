/** Image references: `[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]`. Pure. */

/** The name alone, without tag and digest. */
export function imageName(reference: string): string {
  return reference.replace(/@sha256:[0-9a-f]+$/, '').replace(/:[^/:]+$/, '')
}

/** The digest, `sha256:…`, where the reference has one. */
export function imageDigest(reference: string): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1]
}
