/** Generators of heads that two servers may read differently: where the body ends, which host is asked for. */
import fc from 'fast-check'

const spelled = (name: string) =>
  fc.constantFrom(
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    `${name} `,
    name.replace('-', '_'),
    ` ${name}`,
  )

const length = fc
  .tuple(
    spelled('Content-Length'),
    fc.constantFrom(':', ': ', ':\t', ': \t'),
    fc.constantFrom(
      '5',
      '0',
      '05',
      '+5',
      '-5',
      '0x5',
      '5,5',
      '5, 5',
      '5 5',
      '',
      '5.0',
      '5e0',
      '6',
      '\u0665',
      '99999999999999999999',
    ),
  )
  .map((parts) => parts.join(''))

const coding = fc
  .tuple(
    spelled('Transfer-Encoding'),
    fc.constantFrom(':', ': ', ':\t'),
    fc.constantFrom(
      'chunked',
      'Chunked',
      '',
      'identity',
      'gzip, chunked',
      'chunked, chunked',
      'chunked, identity',
      'xchunked',
      '\u000bchunked',
      '"chunked"',
      'chunked;x',
      ',chunked',
    ),
  )
  .map((parts) => parts.join(''))

/** Headers of a request that say how its body is framed, in ways good and bad. */
export const anyFraming: fc.Arbitrary<readonly string[]> = fc.array(fc.oneof(length, coding), {
  maxLength: 3,
})
