/** Several kinds of runtime as one: each revision belongs to the first kind that knows it. */
import { serviceKey } from '../state/names.ts'
import type { Revision } from '../state/resources.ts'
import { imageNotFound } from './contract.ts'
import type { Runtime } from './runtime.ts'

/** A runtime that says which revisions are its own. */
export interface SelectiveRuntime extends Runtime {
  owns(revision: Revision): boolean | Promise<boolean>
}

export function combineRuntimes(kinds: readonly SelectiveRuntime[]): Runtime {
  const owners = new Map<string, { readonly kind: SelectiveRuntime }>()
  const ownerOf = async (revision: Revision) => {
    for (const kind of kinds) if (await kind.owns(revision)) return kind
    return undefined
  }
  return {
    async start(revision) {
      const kind = await ownerOf(revision)
      if (!kind) return imageNotFound(revision)
      owners.set(serviceKey(revision), { kind })
      return kind.start(revision)
    },
    async stop(revision) {
      const key = serviceKey(revision)
      const owner = owners.get(key)
      await owner?.kind.stop(revision)
      // It may have been started anew meanwhile.
      if (owners.get(key) === owner) owners.delete(key)
    },
    upstream: (revision) => owners.get(serviceKey(revision))?.kind.upstream(revision),
    async instanceAt(address) {
      for (const kind of kinds) {
        const instance = await kind.instanceAt(address)
        if (instance) return instance
      }
      return undefined
    },
    async close() {
      await Promise.all(kinds.map((kind) => kind.close()))
    },
  }
}
