/** Accounts as people name them: by an id where an email would do, and by either where a policy takes a member. */
import type { EmulatorFacts } from './control.ts'

type Project = Pick<EmulatorFacts, 'project' | 'computeAccount'>

/** An account id, an email, or `default` for the project's compute account: the email. */
export function emailOf(account: string, { project, computeAccount }: Project): string {
  if (account === 'default') return computeAccount
  return account.includes('@') ? account : `${account}@${project}.iam.gserviceaccount.com`
}

/** A member of a policy as it is, or that of a service account. */
export function memberOf(name: string, facts: Project): string {
  return /^(?:allUsers|allAuthenticatedUsers)$|:/.test(name) ? name : `serviceAccount:${emailOf(name, facts)}`
}
