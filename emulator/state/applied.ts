/**
 * Which documents were applied to the state, by what they describe. One that has not changed since is not applied again: what
 * was changed after it, by whatever call, was acknowledged and stays.
 */
import { createHash } from 'node:crypto'
import type { CollectionDeclaration } from './collection.ts'
import type { Stored } from './parts.ts'

/** `new`: never applied to what is kept here. `changed`: it says something else by now. */
export type Standing = 'new' | 'changed' | 'unchanged'

interface Applied {
  readonly of: string
  readonly digest: string
}

/** By what it describes. */
const applied: CollectionDeclaration<Applied> = {
  name: 'appliedDocuments',
  survivesReset: false,
  survivesRestart: true,
}

export class AppliedDocuments {
  readonly #applied

  constructor({ store }: Stored) {
    this.#applied = store.collection(applied)
  }

  /** How the documents that describe `of`, such as `service us-central1/billing`, stand to those that were applied. */
  standing(of: string, documents: readonly object[]): Standing {
    const known = this.#applied.get(of)
    if (!known) return 'new'
    return known.digest === digest(documents) ? 'unchanged' : 'changed'
  }

  applied(of: string, documents: readonly object[]): void {
    this.#applied.put(of, { of, digest: digest(documents) })
  }

  /** Forgets what nobody describes any more: described anew, it is applied anew. `kind` is how those in question begin. */
  keepOnly(kind: RegExp, described: ReadonlySet<string>): void {
    for (const { of } of this.#applied.list())
      if (kind.test(of) && !described.has(of)) this.#applied.delete(of)
  }
}

/** Of what the documents say: the order of a map's keys, comments and indentation say nothing. */
function digest(documents: readonly object[]): string {
  return createHash('sha256').update(JSON.stringify(documents, sorted)).digest('hex')
}

function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
