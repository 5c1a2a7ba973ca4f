/** Artifact Registry's repositories. What is in them the Docker engine holds. */
import type { Collection, CollectionDeclaration } from './collection.ts'
import type { Stored } from './parts.ts'

export type Repositories = Collection<Repository>

/** One repository. Its key is its name: `projects/P/locations/L/repositories/R`, `P` being the id. */
export interface Repository {
  readonly name: string
  readonly format: string
  readonly mode: string
  readonly description: string
  readonly labels: Readonly<Record<string, string>>
  readonly createTime: string
  readonly updateTime: string
  /** Settings that nothing here acts on, given back as they came. */
  readonly rest: Readonly<Record<string, unknown>>
}

/** By name. */
export const repositories: CollectionDeclaration<Repository> = {
  name: 'repositories',
  survivesReset: false,
  survivesRestart: true,
}

export function openRepositories({ store }: Stored): Repositories {
  return store.collection(repositories)
}
