/** Google is a set of host names: whose each one is, by what the products say of themselves. Pure. */
import type { Catalogue, Declaration } from './product.ts'

/** Stands for every product that shares Google's REST front. */
export const REST = 'rest'

/** Holds the certificates, and every older API under its own path. */
const SHARED = 'www.googleapis.com'
/** Every name below is an API's. */
const APIS = 'googleapis.com'

export interface Directory {
  /** The product that has this name and path, or {@link REST}, also where nobody here has it; undefined for a name that is not Google's. */
  byHost(host: string, path: string): string | undefined
  /** The product that has this path under a name that is not Google's: Google's paths do not collide. */
  byPath(path: string): string
}

export function directoryOf(catalogue: Catalogue): Directory {
  const find = matcher(catalogue, ({ hosts }) => hosts)
  const refused = matcher(catalogue, ({ refused = [] }) => refused)
  const own = catalogue.filter(({ paths }) => paths)
  const byPath = (path: string) => own.find(({ paths }) => paths?.test(path))?.name ?? REST
  return {
    byPath,
    byHost(host, path) {
      if (host === SHARED) return byPath(path)
      const product = find(host)
      if (product) return product.paths ? product.name : REST
      return isApiHost(host) || refused(host) ? REST : undefined
    },
  }
}

/** May a product that shares the REST front answer under this name? Under a name of Google's, only the one that has it. */
export function servesUnder(product: Declaration, host: string): boolean {
  return !isApiHost(host) || host === SHARED || product.hosts.some((pattern) => patternOf(pattern).test(host))
}

/** The product whose name this is. */
export function productAt(catalogue: Catalogue, host: string): Declaration | undefined {
  return matcher(catalogue, ({ hosts, refused = [] }) => [...hosts, ...refused])(host)
}

function isApiHost(host: string): boolean {
  return host === APIS || host.endsWith(`.${APIS}`)
}

/**
 * The names that a program in a container may ask for. A hosts file and a network's aliases know no wildcards, so each is
 * named; an address is none.
 */
export function aliasesOf(catalogue: Catalogue, regions: readonly string[]): readonly string[] {
  const names = catalogue
    .flatMap(({ hosts }) => hosts)
    .filter((host) => !host.startsWith('*.') && !ADDRESS.test(host))
  return [
    ...new Set([
      ...names.filter((host) => !host.startsWith(REGION)),
      SHARED,
      ...names
        .filter((host) => host.startsWith(REGION))
        .flatMap((host) => regions.map((region) => host.replace(REGION, `${region}-`))),
    ]),
  ]
}

const REGION = 'REGION-'
const ADDRESS = /^[\d.]+$/

function matcher(catalogue: Catalogue, names: (product: Declaration) => readonly string[]) {
  const exact = new Map<string, Declaration>()
  const patterns: { readonly pattern: RegExp; readonly product: Declaration }[] = []
  for (const product of catalogue)
    for (const name of names(product)) {
      if (name.startsWith('*.') || name.startsWith(REGION))
        patterns.push({ pattern: patternOf(name), product })
      else exact.set(name, product)
    }
  return (host: string) => exact.get(host) ?? patterns.find(({ pattern }) => pattern.test(host))?.product
}

const compiled = new Map<string, RegExp>()

function patternOf(name: string): RegExp {
  const known = compiled.get(name)
  if (known) return known
  const escaped = name.replace(/[.*]/g, '\\$&')
  const pattern = new RegExp(`^${escaped.replace(/^\\\*/, '[^/]+').replace(/^REGION-/, '[a-z0-9-]+-')}$`)
  compiled.set(name, pattern)
  return pattern
}
