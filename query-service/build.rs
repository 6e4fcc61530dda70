//! Embeds the page of `web/`: compresses each file, and puts a digest of all of them into their addresses.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// Begins the import map, whose hash the content security policy names.
const IMPORT_MAP: &str = "<script type=\"importmap\">";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=web");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut files = Vec::new();
    collect(Path::new("web"), "", &mut files)?;
    files.sort_unstable();
    let mut all = Sha256::new();
    for (path, bytes) in &files {
        all.update(path);
        all.update(bytes.len().to_le_bytes());
        all.update(bytes);
    }
    let digest: String = all.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    });
    let index = fs::read_to_string("web/index.html")?;
    let index = index.replace("DIGEST", &digest);
    let map = index.split_once(IMPORT_MAP).and_then(|(_, rest)| rest.split_once("</script>"));
    let (map, _) = map.ok_or_else(|| io::Error::other("web/index.html has no import map"))?;
    let hash = STANDARD.encode(Sha256::digest(map));
    let mut code = format!(
        "const DIGEST: &str = {digest:?};\nconst IMPORT_MAP: &str = \"sha256-{hash}\";\nstatic INDEX: File = {};\nstatic FILES: &[File] = &[\n",
        file(&out, "index.html", index.as_bytes())?
    );
    for (path, bytes) in &files {
        _ = writeln!(code, "    {},", file(&out, path, bytes)?);
    }
    code.push_str("];\n");
    fs::write(out.join("page.rs"), code)
}

/// The files of a folder that browsers load.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if media_type(&path).is_some() && path != "index.html" {
            let bytes = fs::read(entry.path())?;
            let is_ours = !path.starts_with("vendor/") && (path.ends_with(".js") || path.ends_with(".css"));
            let bytes = if is_ours { without_comments(&String::from_utf8_lossy(&bytes)) } else { bytes };
            files.push((path, bytes));
        }
    }
    Ok(())
}

/// A module or style without its whole-line comments, its types and its indentation, a fifth of what a browser would
/// load. Another comment beside code stays.
fn without_comments(source: &str) -> Vec<u8> {
    let mut kept = String::with_capacity(source.len());
    let mut in_comment = false;
    for line in source.lines() {
        let text = line.trim_start();
        let begins = !in_comment && text.starts_with("/*");
        let rest = match text.split_once("*/") {
            Some((_, rest)) if in_comment || begins => rest,
            _ if in_comment || begins => "",
            _ if text.starts_with("//") => "",
            _ => line,
        };
        in_comment = (in_comment || begins) && !text.contains("*/");
        let rest = without_types(rest.trim());
        if !rest.is_empty() {
            kept.push_str(&rest);
            kept.push('\n');
        }
    }
    kept.into_bytes()
}

/// A line without the types within it: `/** @type {any} */ `.
fn without_types(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, (_, after))) =
        rest.split_once("/** @").and_then(|(before, comment)| Some((before, comment.split_once("*/")?)))
    {
        kept.push_str(before);
        rest = after.trim_start();
    }
    kept.push_str(rest);
    kept
}

fn media_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// The code of an embedded file.
fn file(out: &Path, path: &str, bytes: &[u8]) -> io::Result<String> {
    let name = path.replace('/', "+");
    let (plain, gzip) = (out.join(&name), out.join(format!("{name}.gz")));
    fs::write(&plain, bytes)?;
    let mut encoder = GzEncoder::new(fs::File::create(&gzip)?, Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()?;
    let media_type = media_type(path).unwrap_or_default();
    Ok(format!(
        "File {{ path: {path:?}, media_type: {media_type:?}, plain: include_bytes!({plain:?}), gzip: include_bytes!({gzip:?}) }}"
    ))
}
