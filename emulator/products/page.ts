/** docs/apis.md: what of each product is served, written from the table of products and the routes that they register. Pure. */
import type { Catalogue, Declaration } from '../catalogue/product.ts'
import type { ServedRoute } from './products.ts'

const HEAD = `# What is served

Google's products as the emulator serves them, and what it leaves out. Whatever is not here is answered with a 400 whose status is
\`UNIMPLEMENTED\` and whose message names it and what there is; how each behaviour is known to be Google's is in
[fidelity.md](fidelity.md).

This page is written from the code: \`UPDATE_APIS_PAGE=1 bun test emulator/products/page.test.ts\`.
`

export function apisPage(catalogue: Catalogue, routes: readonly ServedRoute[]): string {
  const sections = catalogue.map((product) =>
    section(
      product,
      routes.filter((route) => route.product === product.name),
    ),
  )
  return [HEAD, summary(catalogue), ...sections].join('\n')
}

function summary(catalogue: Catalogue): string {
  const rows = catalogue.map(({ name, api, hosts }) =>
    row([`[${name}](#${name})`, api?.title ?? '', list(hosts), api ? ENABLED[api.enabled] : '']),
  )
  return `${table(['Product', 'API', 'Hosts', 'Enabled'], rows)}\n`
}

const ENABLED = {
  always: 'always',
  initially: 'in a new project',
  'on request': 'on request',
} as const

function section({ name, serves, leavesOut, refused = [] }: Declaration, routes: readonly ServedRoute[]) {
  const paths = Map.groupBy(routes, ({ path }) => path)
  const methods = [...paths].map(([path, served]) =>
    row([list([...new Set(served.map(({ method }) => method))]), `\`${path}\``]),
  )
  const lines = [
    `## ${name}`,
    '',
    `Served: ${serves.join('; ')}.`,
    '',
    'Not served:',
    '',
    ...leavesOut.map((what) => `- ${what}`),
    ...(refused.length ? [`- anything of ${list(refused)}, which are refused by name`] : []),
    '',
    ...(methods.length ? [table(['Method', 'Path'], methods)] : []),
  ]
  return `${lines.join('\n')}\n`
}

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}

function table(head: readonly string[], rows: readonly string[]): string {
  return [row(head), row(head.map(() => '---')), ...rows].join('\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
