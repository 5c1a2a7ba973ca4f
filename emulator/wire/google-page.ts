/** The short page that Google's front ends answer with, to the byte (facts 1.4). */

export interface Page {
  readonly status: number
  readonly reason: string
  readonly contentType: string
  readonly body: string
  /** Headers that only this page has, names and values in turn. */
  readonly headers: readonly string[]
  /** The robot page comes from in front of Cloud Run: no `server`, no `x-cloud-trace-context` (facts 6.2). */
  readonly robot: boolean
}

export const HTML = 'text/html; charset=UTF-8'

/** facts 1.4: the short template starts and ends with a newline. */
export function shortPage(status: number, title: string, heading: string, sentence: string): Page {
  const body = `
<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>${status} ${title}</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: ${heading}</h1>
<h2>${sentence}</h2>
<h2></h2>
</body></html>
`
  return { status, reason: title, contentType: HTML, body, headers: [], robot: false }
}

/** What is no request: Google's front ends answer before it is anybody's. The sentence is seen; its template here is inferred. */
export const BAD_REQUEST: Page = shortPage(
  400,
  'Bad Request',
  'Bad Request',
  'Your client has issued a malformed or illegal request.',
)

/** A fault, of the emulator or of what it asked. */
export const SERVER_ERROR: Page = {
  ...shortPage(
    500,
    'Server Error',
    'Server Error',
    'The server encountered an error and could not complete your request.<p>Please try again in 30 seconds.',
  ),
  reason: 'Internal Server Error',
}
