import type { CollectionDeclaration } from '../../state/collection.ts'
import type { Build } from './record.ts'

/** By {@link buildKey}. */
export const builds: CollectionDeclaration<Build, 'id'> = {
  name: 'builds',
  survivesReset: false,
  survivesRestart: true,
  indexes: { id: ({ id }) => id },
}
