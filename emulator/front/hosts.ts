/** Google is a set of host names: which room answers for which (design: the one idea). */
import type { Directory } from '../catalogue/hosts.ts'

/** One of Google's products, by its name in the directory. */
export interface ProductRoom {
  readonly product: string
}

/** `local`: the host is none of Google's. */
export type Room = ProductRoom | 'ingress' | 'local'
/** A room of the emulator's own name. */
export type LocalRoom = ProductRoom | 'console'

/** The room that a host means. A host that is not Google's is the emulator's own, or, asked for as of a proxy, somebody else's. */
export function roomFor(directory: Directory, host: string, target: string): Room {
  if (host.endsWith('.run.app')) return 'ingress'
  const product = directory.byHost(host, pathOf(target))
  return product === undefined ? 'local' : { product }
}

/** The room for a path on the emulator's own name: Google's paths do not collide. */
export function roomForPath(directory: Directory, target: string, wantsHtml: boolean): LocalRoom {
  const path = pathOf(target)
  // Clients find a metadata server by `GET /` and its Metadata-Flavor header; a browser asks for a page.
  if (path.startsWith('/_emulator') || (path === '/' && wantsHtml)) return 'console'
  return { product: directory.byPath(path) }
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
