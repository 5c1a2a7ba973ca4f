/** OAuth scopes that say something about the person (OpenID Connect, and Google's older spelling of it). */
const EMAIL = 'https://www.googleapis.com/auth/userinfo.email'
const PROFILE = 'https://www.googleapis.com/auth/userinfo.profile'
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['email', EMAIL],
  ['profile', PROFILE],
])

/** Scopes of a request, as asked for. */
export function splitScopes(scope: string): readonly string[] {
  return [...new Set(scope.split(/\s+/).filter((one) => one !== ''))]
}

/** True when every scope asked for has been granted, in either spelling. */
export function covers(granted: readonly string[], asked: readonly string[]): boolean {
  const held = new Set(granted.map(canonical))
  return asked.every((scope) => held.has(canonical(scope)))
}

export function mayReadEmail(scopes: readonly string[]): boolean {
  return scopes.some((scope) => canonical(scope) === EMAIL)
}

export function mayReadSubject(scopes: readonly string[]): boolean {
  return scopes.some((scope) => ['openid', EMAIL, PROFILE].includes(canonical(scope)))
}

function canonical(scope: string): string {
  return SPELLINGS.get(scope) ?? scope
}
