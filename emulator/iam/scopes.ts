/** OAuth scopes as names: which ones Google gives access tokens for. */

/** Scopes that are not under `https://www.googleapis.com/auth/`. */
const OTHERS: ReadonlySet<string> = new Set(['openid', 'email', 'profile', 'https://mail.google.com/'])
const SCOPE = /^https:\/\/www\.googleapis\.com\/auth\/[A-Za-z][\w.\-/]*$/

/** True for a scope of Google's, as far as its form tells: Google knows the names, the emulator the pattern (inferred). */
export function isGoogleScope(scope: string): boolean {
  return OTHERS.has(scope) || SCOPE.test(scope)
}
